"""``python -m service`` is ``carina``."""

from service.cli import main

if __name__ == "__main__":
    main()
