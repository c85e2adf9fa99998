"""Images and synsets of a database, written in the forms that others read.

ImageNet's own lists (`formats`, `structure`) and its archives (`archive`), WebDataset shards
(`shards`), parquet as Hugging Face reads it (`parquet`), and a folder for each class (`folder`).
What is exported is named by a `Selection`. The same images of a database give the same bytes,
whatever the number of threads; an image that cannot be read is set aside with its reason.
"""
