"""Recording in other training loops. Each module needs its library, which is imported only on use."""
