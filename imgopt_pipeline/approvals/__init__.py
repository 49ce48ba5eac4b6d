"""A person's word for what acts on a host: who said yes to what, as it then was, and when.

Belongs here: recording it and finding it again. Does not belong here: asking a person (`cli`), and what is done then
(`deployments`, `migrations`).
"""
