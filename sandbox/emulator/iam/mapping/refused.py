"""Operations without a mapping, each with the reason: calls of them are refused and count as our gap."""

from __future__ import annotations

from collections.abc import Mapping

_NEWER = "AWS's list of actions does not know it yet"
_NO_PERMISSION = "it needs no permission of the caller: it is signed with a token of its own"
_ELSEWHERE = "it is a page's own request, not one that is signed"

REFUSED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "cloudformation": {_NEWER: frozenset({"RemoveAlias", "SetAlias"})},
    "cloudtrail": {_NEWER: frozenset({"ListInsightsMetricData"})},
    "cloudwatch": {
        _NEWER: frozenset(
            [
                "AssociateDatasetKmsKey",
                "DeleteMetricDataQueryDefinition",
                "DescribeAlarmContributors",
                "DisassociateDatasetKmsKey",
                "GetMetricDataQueryDefinition",
                "ListMetricDataQueryDefinitions",
                "PutMetricDataQueryDefinition",
            ]
        )
    },
    "cognito-idp": {
        _NEWER: frozenset(
            [
                "AdminListUserSessions",
                "AdminRevokeUserSession",
                "CancelPointInTimeRecovery",
                "CreateCIMDPolicy",
                "DeleteCIMDPolicy",
                "DescribeCIMDPolicy",
                "DescribePointInTimeRecovery",
                "DescribeTermsByClient",
                "GetClientToken",
                "GetDerivedToken",
                "GetUserPoolClientSessionConfiguration",
                "GetUserPoolSessionConfiguration",
                "InitiatePointInTimeRecovery",
                "ListCIMDPolicies",
                "ListClientMetadataURLs",
                "ListPointInTimeRecoveries",
                "ListUserSessions",
                "RevokeUserSession",
                "SetUserPoolClientSessionConfiguration",
                "SetUserPoolSessionConfiguration",
                "StartPointInTimeRecovery",
                "UpdateCIMDPolicy",
                "UpdateClientMetadataURLState",
            ]
        ),
        _NO_PERMISSION: frozenset(
            [
                "CompleteWebAuthnRegistration",
                "DeleteWebAuthnCredential",
                "GetUserAuthFactors",
                "ListWebAuthnCredentials",
                "StartWebAuthnRegistration",
            ]
        ),
    },
    "dynamodb": {
        _NEWER: frozenset(
            ["CancelBulkOperation", "DescribeBulkOperation", "ListBulkOperations", "StartBulkPutItems"]
        )
    },
    "iam": {_NEWER: frozenset({"AcquireRole", "UpdateDelegationRequest", "UpdateOpenIDConnectProvider"})},
    "kinesis": {
        _NEWER: frozenset(
            [
                "AcknowledgeDeadLetterQueueRecords",
                "AcknowledgeQueueRecords",
                "CreateQueue",
                "DeleteQueue",
                "DescribeQueue",
                "ListQueues",
                "ReceiveDeadLetterQueueRecords",
                "ReceiveQueueRecords",
                "RestoreDeadLetterQueueRecords",
                "UpdateDeadLetterQueueRecordsVisibility",
                "UpdateQueue",
                "UpdateQueueRecordsVisibility",
            ]
        )
    },
    "lambda": {
        _NEWER: frozenset(["DeleteDurableExecution", "PauseDurableExecution", "ResumeDurableExecution"])
    },
    "route53": {
        _NEWER: frozenset(
            [
                "CreateHealthCheckSource",
                "CreateResourceRecordSetProtections",
                "DeleteHealthCheckSource",
                "DeleteResourceRecordSetProtections",
                "GetHealthCheckSource",
                "GetHostedZoneChangeBatch",
                "ListHealthCheckSources",
                "ListHealthChecksBySource",
                "ListHostedZoneChangeBatches",
                "ListResourceRecordSetChanges",
                "ListResourceRecordSetProtections",
                "UpdateHostedZoneTier",
            ]
        )
    },
    "s3": {
        _ELSEWHERE: frozenset({"BucketCORSPreflightCheck", "ObjectCORSPreflightCheck"}),
        "it belongs to S3 Object Lambda and directory buckets, which are not emulated": frozenset(
            {"WriteGetObjectResponse", "RenameObject", "CreateSession", "ListDirectoryBuckets"}
        ),
    },
    "secretsmanager": {
        _NEWER: frozenset(
            ["AssociateCrossAccountReplica", "DisassociateCrossAccountReplica", "ListResourcePolicies"]
        )
    },
    "ssm": {
        _NEWER: frozenset(
            ["DeregisterDefaultHostManagementConfiguration", "RegisterDefaultHostManagementConfiguration"]
        )
    },
    "sts": {_NEWER: frozenset({"GetScopedCredentials"})},
}


def find_reason(service: str, operation: str) -> str:
    """Why an operation is refused; empty when it is not."""
    for reason, operations in REFUSED.get(service, {}).items():
        if operation in operations:
            return reason
    return ""
