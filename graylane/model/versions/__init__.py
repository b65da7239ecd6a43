"""One codec per served API version: wire objects to the hub types of `graylane.model`, with field-path errors. Pure."""
