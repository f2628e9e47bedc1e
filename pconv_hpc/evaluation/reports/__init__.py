"""Reports as web pages: tables, plots, examples."""
