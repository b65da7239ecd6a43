"""The controllers that turn Deployments and Services into pods and endpoints; see `controllers.py`. Pure."""
