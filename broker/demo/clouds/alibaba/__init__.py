"""Alibaba Cloud: ECS, VPC and STS."""
