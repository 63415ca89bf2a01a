"""Answer where an optimizer went, and what the loss landscape is there.

trajmap records an optimizer's iterates, reduces them to a few coordinates with honest scores, lifts those
coordinates back to parameter space to evaluate the loss there, and compares the found manifold with the
Hessian's top eigenspace. Public names load when they are first used, so importing trajmap costs no torch; the
stub next to this file lists them, for type checkers and for the loader.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
