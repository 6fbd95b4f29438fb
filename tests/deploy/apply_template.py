"""Makes and deletes the stack of deploy/aws in moto, and prints what it made as JSON.

    build/tools/python/bin/python tests/deploy/apply_template.py TEMPLATE

moto has no MSK topics, no MSK Serverless and no application scaling, so the stack is that of an existing cluster
without them: once as it is, and once with a stage and a bucket that exists.
"""

import json
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="eu-west-1")

import boto3
from moto import mock_aws

CLUSTER = "arn:aws:kafka:eu-west-1:123456789012:cluster/queries/0a1b2c3d-1"
FIXED = {
    "ClusterArn": CLUSTER, "BootstrapServers": "b-1.example.org:9098", "Topics": "programs",
    "ScaleReceivers": "false", "Image": "registry.example.org/athena-query:1.0",
    "ApiKeysSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys",
}  # fmt: skip
CASES = {
    "small": {},
    "stage": {"Stage": "dev", "ResultsBucketName": "our-results", "WorkGroup": "queries"},
}


def network():
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"]["SubnetId"]
        for i, zone in enumerate("ab")
    ]
    certificate = boto3.client("acm").request_certificate(DomainName="queue.example.org")["CertificateArn"]
    return {"CertificateArn": certificate, "VpcId": vpc, "SubnetIds": ",".join(subnets), "LoadBalancerSubnetIds": ",".join(subnets)}


def policies(role):
    iam = boto3.client("iam")
    return {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }


def environment(resources, program):
    task = boto3.client("ecs").describe_task_definition(taskDefinition=resources[f"{program}Task"])
    (container,) = task["taskDefinition"]["containerDefinitions"]
    return {row["name"]: row["value"] for row in container["environment"]}


@mock_aws
def apply(template, parameters):
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName="queue", TemplateBody=template, Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters(network()).items()],
    )  # fmt: skip
    stack = cloudformation.describe_stacks(StackName="queue")["Stacks"][0]
    found = cloudformation.describe_stack_resources(StackName="queue")["StackResources"]
    found = [r for r in found if "LogicalResourceId" in r]  # what moto has made
    resources = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found}
    made = {
        "status": stack["StackStatus"],
        "resources": {r["LogicalResourceId"]: r["ResourceType"] for r in found},
        "outputs": {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]},
        "policies": {p: policies(resources[f"{p}Role"]) for p in ("Receiver", "Executor", "Redriver")},
        "environment": {p: environment(resources, p) for p in ("Receiver", "Executor", "Redriver")},
    }
    cloudformation.delete_stack(StackName="queue")
    stacks = cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    made["deleted"] = [s["StackName"] for s in stacks] == ["queue"]
    return made


if __name__ == "__main__":
    text = open(sys.argv[1]).read()
    print(json.dumps({name: apply(text, lambda net: FIXED | net | more) for name, more in CASES.items()}))
