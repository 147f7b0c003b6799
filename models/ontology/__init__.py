"""What may be where: AOR's tables as data, the relations drawn from them, tables of places."""
