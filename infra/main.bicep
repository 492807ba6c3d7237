// The whole deployment of cancel_order: a resource group and everything in it. For `azd up`; the parameters
// come from main.parameters.json, which takes them from azd's environment.
//
// No secret passes through here: none is a parameter, none an output, none is created. They are written to the
// Key Vault by hand (docs/credentials.md), for a redeployment must not put back one that was rotated since.
//
// availability.bicep is deployed after the code, because a function's key does not exist before its code does.

targetScope = 'subscription'

// ---------------------------------------------------------------- what the settings look like

// The JSON is that of the app settings PARTNER_CENTER_ACCOUNTS and CALLERS. Sealed: a misspelt member stops the
// deployment here instead of the function there.

type cloud = 'global' | 'china' | 'usgov'
type mode = 'live' | 'dry_run' | 'off'

@sealed()
type account = {
  cloud: cloud
  tenantId: string
  clientId: string
  mode: mode
  clientSecret: string?
  certificate: string?
  refreshToken: string?
  managedIdentity: bool?
  customers: array?
  apiRoot: string?
  authority: string?
  audience: string?
}

type accountsByName = {
  *: account
}

@sealed()
type zendeskCaller = {
  proof: 'zendesk'
  secrets: array
  accounts: array?
  customers: array?
  dryRunOnly: bool?
}

@sealed()
type standardWebhooksCaller = {
  proof: 'standard-webhooks'
  secrets: array
  accounts: array?
  customers: array?
  dryRunOnly: bool?
}

@sealed()
type entraCaller = {
  proof: 'entra'
  role: string
  accounts: array?
  customers: array?
  dryRunOnly: bool?
}

@sealed()
type keyCaller = {
  proof: 'key'
  sha256: string
  accounts: array?
  customers: array?
  dryRunOnly: bool?
}

@discriminator('proof')
type caller = zendeskCaller | standardWebhooksCaller | entraCaller | keyCaller

type callersByName = {
  *: caller
}

@sealed()
type entraApp = {
  clientId: string
  tenantId: string?
  audiences: array?
}

// ---------------------------------------------------------------- parameters: where

@description('Names the environment; part of the name of everything.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Azure region. Flex Consumption is not in every region: az functionapp list-flexconsumption-locations.')
param location string

// ---------------------------------------------------------------- parameters: the function's settings

@description('PARTNER_CENTER_ACCOUNTS: accounts by name. Secrets are given by their names in the Key Vault.')
param accounts accountsByName

@description('CALLERS: who may call, by name. Left out, the function key is enough.')
param callers callersByName?

@description('CANCEL_DEADLINE_S: seconds for one call. Zendesk hangs up after 10.')
@minValue(1)
@maxValue(100)
param cancelDeadlineS int = 8

@description('CANCEL_MAX_WAIT_S: upper end for "Prefer: wait".')
@minValue(1)
@maxValue(100)
param cancelMaxWaitS int = 100

@description('SECRET_TTL_S: how long a secret read from the Key Vault is kept.')
@minValue(0)
param secretTtlS int = 900

@description('App registration whose app role callers with proof "entra" have; switches App Service Authentication on.')
param entra entraApp?

// ---------------------------------------------------------------- parameters: size

@description('Instances kept warm. 1 spares the first ticket after a pause the cold start; it is paid for all day.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 0

@description('Calls that one instance handles at once. Python gets 1 where this is not set, and waiting is all we do.')
@minValue(1)
@maxValue(1000)
param perInstanceConcurrency int = 16

@description('Most instances that Azure may start.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

// ---------------------------------------------------------------- parameters: network

@description('CIDR ranges that may call the function. Empty: everyone who has the key.')
param allowedIpRanges array = []

@description('Storage and Key Vault reachable from a virtual network only, with one fixed outgoing address.')
param privateNetwork bool = false

@description('With privateNetwork: CIDR ranges from which operators reach the Key Vault.')
param vaultIpRanges array = []

// ---------------------------------------------------------------- parameters: operation

@description('Where alerts go. Empty: alerts are only seen in the portal.')
param alertEmail string = ''

@description('Days that logs can be queried without being restored.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Days that the audit records are kept in all.')
@minValue(30)
@maxValue(4383)
param auditRetentionDays int = 365

@description('Set once the first refresh token is stored (python -m infra.consent): lets the function renew it.')
param refreshTokensStored bool = false

// ---------------------------------------------------------------- names

var suffix = uniqueString(subscription().id, environmentName, location)
var tags = {
  'azd-env-name': environmentName
}

// The secrets that the function may write to. A role can only be given on a secret that exists.
var usingRefreshTokens = filter(items(accounts), entry => !empty(entry.value.?refreshToken))
var refreshTokenSecrets = union(map(usingRefreshTokens, entry => entry.value.?refreshToken ?? ''), [])

// Absent, not blank: the function takes a blank CALLERS for a fault, and never for "open to everyone".
var callersSetting = callers == null ? {} : {
  CALLERS: string(callers)
}

// ---------------------------------------------------------------- resources

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-cancel-order-${suffix}'
    location: location
    tags: tags
  }
}

module telemetry 'modules/telemetry.bicep' = {
  name: 'telemetry'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    logRetentionDays: logRetentionDays
    auditRetentionDays: auditRetentionDays
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${suffix}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    privateNetwork: privateNetwork
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${suffix}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    workspaceId: telemetry.outputs.workspaceId
    privateNetwork: privateNetwork
    allowedIpRanges: vaultIpRanges
  }
}

module writers 'modules/secret-writer.bicep' = [for name in (refreshTokensStored ? refreshTokenSecrets : []): {
  name: 'writer-${uniqueString(name)}'
  scope: group
  params: {
    vaultName: vault.outputs.name
    secretName: name
    principalId: identity.outputs.principalId
  }
}]

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module function 'modules/function.bicep' = {
  name: 'function'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    applicationInsightsName: telemetry.outputs.applicationInsightsName
    subnetId: privateNetwork ? network!.outputs.functionSubnetId : ''
    allowedIpRanges: allowedIpRanges
    entra: entra ?? {}
    alwaysReadyInstances: alwaysReadyInstances
    perInstanceConcurrency: perInstanceConcurrency
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    settings: union(callersSetting, {
      KEY_VAULT_URL: vault.outputs.url
      PARTNER_CENTER_ACCOUNTS: string(accounts)
      CANCEL_DEADLINE_S: string(cancelDeadlineS)
      CANCEL_MAX_WAIT_S: string(cancelMaxWaitS)
      SECRET_TTL_S: string(secretTtlS)
    })
  }
}

module alerts 'monitoring/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    applicationInsightsName: telemetry.outputs.applicationInsightsName
    alertEmail: alertEmail
  }
}

module workbook 'monitoring/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    applicationInsightsName: telemetry.outputs.applicationInsightsName
  }
}

// ---------------------------------------------------------------- for azd, availability.bicep and the operator

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = function.outputs.name
output AZURE_FUNCTION_URL string = function.outputs.url
output AZURE_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output KEY_VAULT_URL string = vault.outputs.url
output AZURE_APPLICATION_INSIGHTS_NAME string = telemetry.outputs.applicationInsightsName
output AZURE_ACTION_GROUP_NAME string = alerts.outputs.actionGroupName
