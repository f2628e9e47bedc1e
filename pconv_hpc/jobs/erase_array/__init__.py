"""An erase folder as job arrays: planned, submitted, worked on, reported."""
