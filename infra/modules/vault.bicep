// Deploys the Key Vault for the secrets of Partner Center accounts and of callers that sign. Creates no secret.

param name string
param location string
param tags object
param principalId string
param workspaceId string
param privateNetwork bool
param allowedIpRanges array
param recover bool

// Key Vault Secrets User, for the whole vault, which only the function uses. Azure accepts a role for a single secret
// only if the secret exists. https://learn.microsoft.com/azure/key-vault/general/rbac-guide
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

var ipRules = [for range in allowedIpRanges: {
  value: range
}]

// Older API versions end on 2027-02-27: https://learn.microsoft.com/azure/key-vault/general/migrate-api-version
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    // 'default' fails while there is a deleted vault of this name, 'recover' while there is none:
    // https://azure.github.io/azure-service-operator/guide/keyvaults
    createMode: recover ? 'recover' : 'default'
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

// Records each read and write of a secret: by whom and when.
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
