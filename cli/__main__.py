"""``python -m cli``: the ``coldstart`` command."""

from cli.main import main

if __name__ == "__main__":
    main()
