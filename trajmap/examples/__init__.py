"""Real training on data that scikit-learn ships, for the demo, the tests and the experiments."""
