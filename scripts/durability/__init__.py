"""Whether what is answered was on the disk before: the order of system calls, as strace saw it."""
