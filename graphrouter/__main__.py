"""`python -m graphrouter` does what the command `graphrouter` does."""

from graphrouter.cli.app import main

if __name__ == "__main__":
    main()
