"""What the verbs find: one noun a file, arrays only."""
