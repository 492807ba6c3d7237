// Holds the secrets of the Partner Center accounts and of callers that sign. This creates none of them.

param name string
param location string
param tags object
param principalId string
param workspaceId string
param privateNetwork bool
param allowedIpRanges array

// https://learn.microsoft.com/azure/key-vault/general/rbac-guide: Key Vault Secrets User. For the whole vault, which
// is the function's alone; a role for one secret can only be given once that secret exists.
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

var ipRules = [for range in allowedIpRanges: {
  value: range
}]

// https://learn.microsoft.com/azure/key-vault/general/migrate-api-version: older versions end on 2027-02-27.
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: privateNetwork && empty(allowedIpRanges) ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      bypass: 'None'
      ipRules: ipRules
    }
  }
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsUser)
  }
}

// Who read or wrote which secret, and when.
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

output id string = vault.id
output name string = vault.name
output url string = vault.properties.vaultUri
