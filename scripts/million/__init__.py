"""A million studies by SQL, and what the service's questions cost on top of them."""
