"""Where entries wait on disk while their server is away."""
