"""The LMS on Kubernetes: a cluster of EKS, and what runs on it."""
