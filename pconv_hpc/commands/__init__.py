"""What a person types: one file per program, which parses, calls the package and exits."""
