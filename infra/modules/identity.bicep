// Deploys the function's identity for storage, Key Vault, telemetry and, for accounts with managedIdentity, Partner
// Center. It is user-assigned, so its roles exist before the function first starts and stay if it is replaced.

param name string
param location string
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output principalId string = identity.properties.principalId
output clientId string = identity.properties.clientId
