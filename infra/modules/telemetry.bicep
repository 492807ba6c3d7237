// Where logs and audit records go.

param suffix string
param location string
param tags object
param principalId string
param logRetentionDays int
param auditRetentionDays int

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles: Monitoring Metrics Publisher, which in
// spite of its name is what sending logs takes too.
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

// https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication: in the public cloud only.
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
    // No daily cap: what it would drop are audit records.
  }
}

// The audit records are traces. What is past the retention of the workspace is kept as archive.
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
    SamplingPercentage: 100 // an audit record that is sampled away is a lie by omission
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
