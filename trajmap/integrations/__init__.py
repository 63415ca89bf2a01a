"""Recording inside other training loops. Each module needs its library; none is imported before it is asked for."""
