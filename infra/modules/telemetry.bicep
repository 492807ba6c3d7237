// Deploys the storage of logs and audit records: a workspace and Application Insights.

param suffix string
param location string
param tags object
param principalId string
param logRetentionDays int
param auditRetentionDays int

// Monitoring Metrics Publisher, which is also the role for sending logs, in spite of its name:
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

// Signing in with Entra exists only in the public cloud:
// https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication
var entraOnly = environment().name == 'AzureCloud'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-${suffix}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: logRetentionDays
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
    // There is no daily cap, because it would drop audit records.
  }
}

// Audit records are traces. Traces older than the workspace's retention are kept in the archive.
resource traces 'Microsoft.OperationalInsights/workspaces/tables@2025-07-01' = {
  parent: workspace
  name: 'AppTraces'
  properties: {
    plan: 'Analytics'
    retentionInDays: logRetentionDays
    totalRetentionInDays: max(logRetentionDays, auditRetentionDays)
  }
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${suffix}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: entraOnly
    SamplingPercentage: 100 // sampling would drop audit records
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(applicationInsights.id, principalId, monitoringMetricsPublisher)
  scope: applicationInsights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}

output workspaceId string = workspace.id
output applicationInsightsName string = applicationInsights.name
