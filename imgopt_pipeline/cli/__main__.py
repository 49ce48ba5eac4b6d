"""`python -m imgopt_pipeline.cli`: the program where its script is not on the path."""

from imgopt_pipeline.cli.app import main

if __name__ == "__main__":
    main()
