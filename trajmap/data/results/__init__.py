"""Results of the verbs: one noun per file, arrays only."""
