"""What was predicted beside what was seen: `judge` compares one request hop by hop, `report` adds requests up.

`words` says a prediction and a sighting in the same few words, so that a reader can compare them as well.
"""
