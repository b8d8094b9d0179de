"""`python -m gateway`: the same as `tollkeeper`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
