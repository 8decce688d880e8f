"""The object store: raw originals, attachments and large dead letters, named by their content."""

from gateway.objects.objects import Kind, Objects, Stored, digest_of
from gateway.objects.store import NoSuchObject, ObjectsUnavailable

__all__ = ["Kind", "NoSuchObject", "Objects", "ObjectsUnavailable", "Stored", "digest_of"]
