"""What a person types: one file a program, which parses, calls the package and exits."""
