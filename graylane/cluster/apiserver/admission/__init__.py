"""Who may change or refuse a write before it is stored: webhooks registered as objects. See `chain.Admission`."""
