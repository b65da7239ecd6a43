"""What `istioctl analyze` would find, in Istio's codes and levels, beyond what each object's own status says. Pure.

`messages` are the sentences, one module for each kind of question asks them, `everything` puts all of it together.
"""
