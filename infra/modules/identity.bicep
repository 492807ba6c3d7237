// Who the function is: its own identity for storage, Key Vault, telemetry and, where an account says so, Partner
// Center. User-assigned, so that its rights exist before the function first starts and survive its replacement.

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
