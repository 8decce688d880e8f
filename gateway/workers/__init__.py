"""Several processes that are one gateway: a supervisor that serves nobody, and workers that listen side by side."""
