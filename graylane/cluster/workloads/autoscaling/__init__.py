"""HorizontalPodAutoscaler: what pods use, turned into how many there should be."""
