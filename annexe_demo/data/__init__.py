"""The benchmark's files, the facts of a scene, and the sentences that say them."""
