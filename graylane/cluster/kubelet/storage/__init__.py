"""PersistentVolumeClaims as directories of this machine: bound, mounted, kept, and taken back with their claim."""
