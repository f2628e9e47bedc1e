"""What is measured on which photos with which masks, and the results."""
