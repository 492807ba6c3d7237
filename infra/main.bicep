// Deploys cancel_order: a resource group and everything in it. `azd up` runs this file. The parameters come from
// main.parameters.json, which takes them from azd's environment.
//
// This file handles no secret: no parameter and no output is one, and it creates none. The operator writes secrets
// to the Key Vault by hand (docs/credentials.md). Otherwise a redeployment could restore a secret that was rotated.
//
// availability.bicep is deployed after the code, because a function has no key before it has code.

targetScope = 'subscription'

// ---------------------------------------------------------------- types of the settings

// The types describe the JSON of the app settings PARTNER_CENTER_ACCOUNTS and CALLERS. They are sealed, so that a
// misspelt member stops the deployment, and does not reach the function. Resource Manager checks them when azd passes
// the JSON; it takes no notice of capital letters in a member's name.

@minLength(36)
@maxLength(36)
type guid = string

@minLength(1)
type guids = guid[]

@minLength(1)
type names = string[]

@minLength(1)
@maxLength(8)
type secretNames = string[]

@minLength(64)
@maxLength(64)
type sha256 = string

// azd turns what it cannot read as a boolean into the default, without a word: "yes" would leave the network open. So
// a switch is a text, which Resource Manager compares.
type switch = 'true' | 'false'

type cloud = 'global' | 'china' | 'usgov'
type mode = 'live' | 'dry_run' | 'off'

@sealed()
type account = {
  cloud: cloud
  tenantId: guid
  clientId: guid
  mode: mode
  clientSecret: string?
  certificate: string?
  refreshToken: string?
  managedIdentity: bool?
  customers: guids?
  subscriptions: bool?
  sandbox: bool?
  apiRoot: string?
  authority: string?
  audience: string?
}

type accountsByName = {
  *: account
}

// Where a caller's tickets are told. The ticketing system that calls may be another one than the one that is told.

@sealed()
type zendeskTell = {
  system: 'zendesk'
  url: string
  clientId: string
  secret: string
}

@sealed()
type freshdeskTell = {
  system: 'freshdesk'
  url: string
  secret: string
}

@sealed()
type freshserviceTell = {
  system: 'freshservice'
  url: string
  secret: string
}

@sealed()
type jiraTell = {
  system: 'jira'
  url: string
  user: string
  secret: string
}

@sealed()
type webhookTell = {
  system: 'webhook'
  urlSecret: string
  secret: string
}

@discriminator('system')
type tell = zendeskTell | freshdeskTell | freshserviceTell | jiraTell | webhookTell

@sealed()
type zendeskCaller = {
  proof: 'zendesk'
  secrets: secretNames
  accounts: names?
  customers: guids?
  dryRunOnly: bool?
  subscriptions: bool?
  tell: tell?
}

@sealed()
type standardWebhooksCaller = {
  proof: 'standard-webhooks'
  secrets: secretNames
  accounts: names?
  customers: guids?
  dryRunOnly: bool?
  subscriptions: bool?
  tell: tell?
}

@sealed()
type entraCaller = {
  proof: 'entra'
  role: string
  accounts: names?
  customers: guids?
  dryRunOnly: bool?
  subscriptions: bool?
  tell: tell?
}

@sealed()
type keyCaller = {
  proof: 'key'
  sha256: sha256
  accounts: names?
  customers: guids?
  dryRunOnly: bool?
  subscriptions: bool?
  tell: tell?
}

@discriminator('proof')
type caller = zendeskCaller | standardWebhooksCaller | entraCaller | keyCaller

// ---------------------------------------------------------------- parameters: name and region

@description('Name of the environment. It is part of the name of every resource.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Azure region. Flex Consumption is not in every region: az functionapp list-flexconsumption-locations.')
param location string

// ---------------------------------------------------------------- parameters: the function's settings

@description('PARTNER_CENTER_ACCOUNTS: the accounts by name. Each secret is given by its name in the Key Vault.')
param accounts accountsByName

// The types of `callers` and `entra` have no name: azd asks for a parameter that may be left out if its type has one
// (https://github.com/Azure/azure-dev/issues/4687, docs/decisions/0030-parameters-that-may-be-left-out.md).
@description('CALLERS: the allowed callers by name. Without it the function key is enough.')
param callers { *: caller }?

@description('CANCEL_DEADLINE_S: seconds for one call. Zendesk waits for 10.')
@minValue(1)
@maxValue(100)
param cancelDeadlineS int = 8

@description('CANCEL_MAX_WAIT_S: the most seconds that a caller gets with "Prefer: wait".')
@minValue(1)
@maxValue(100)
param cancelMaxWaitS int = 100

@description('SECRET_TTL_S: seconds for which the function caches a secret from the Key Vault.')
@minValue(0)
param secretTtlS int = 900

@description('App registration with the app role of callers with proof "entra". Turns on App Service Authentication.')
@sealed()
param entra { clientId: guid, tenantId: guid?, audiences: names? }?

// ---------------------------------------------------------------- parameters: size

@description('Instances that always run. With 1 there is no cold start after a pause; it costs money all day.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 0

@description('Calls that one instance handles at once. The default for Python is 1, but a call mostly waits.')
@minValue(1)
@maxValue(1000)
param perInstanceConcurrency int = 16

@description('The most instances that Azure may start.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance in MB.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

// ---------------------------------------------------------------- parameters: network

@description('CIDR ranges that may call the function. If empty, every address may.')
param allowedIpRanges string[] = []

@description('Puts storage and Key Vault into a virtual network, and gives the function one fixed outgoing address.')
param privateNetwork switch = 'false'

@description('CIDR ranges from which operators reach the Key Vault. Only with privateNetwork.')
param vaultIpRanges string[] = []

// ---------------------------------------------------------------- parameters: operation

@description('E-mail address for alerts. If empty, alerts are only in the portal.')
param alertEmail string = ''

@description('Address of the page that the alerts\' mails link to. The name of the alert is added as the section.')
@minLength(1)
@maxLength(256)
param operatePage string = 'https://github.com/OWNER/REPO/blob/main/docs/operate.md'

@description('Days for which logs can be queried directly.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Days for which audit records are kept, in the archive too.')
@minValue(30)
@maxValue(4383)
param auditRetentionDays int = 365

@description('Set it once a refresh token is stored (python -m infra.consent); then the function may renew the token.')
param refreshTokensStored switch = 'false'

@description('Recovers the deleted Key Vault of this name, with its secrets and its old firewall: deploy once more without it.')
param recoverVault switch = 'false'

// ---------------------------------------------------------------- names

var suffix = uniqueString(subscription().id, environmentName, location)
var tags = {
  'azd-env-name': environmentName
}

// The secrets that the function may write. Azure accepts a role on a secret only if the secret exists.
var usingRefreshTokens = filter(items(accounts), entry => !empty(entry.value.?refreshToken))
var refreshTokenSecrets = union(map(usingRefreshTokens, entry => entry.value.?refreshToken ?? ''), [])

// With these values the function would answer 500 to every request, or the firewall would shut nobody out.
var noAccount = 'PARTNER_CENTER_ACCOUNTS names no account. Write at least one into it'
var noCaller = 'CALLERS names no caller. Name at least one, or set it to null: then the function key is enough'
var noNetwork = 'VAULT_IP_RANGES needs PRIVATE_NETWORK=true: without it the Key Vault answers every address'

// CALLERS is left out, not left blank: the function reports a blank CALLERS as an error, so that it never comes to mean
// "open to everyone".
var callersSetting = callers == null ? {} : {
  CALLERS: empty(callers) ? fail(noCaller) : string(callers)
}
// The timer runs once a minute, and costs money, so it is off where there is no ticket to tell.
var telling = filter(items(callers ?? {}), entry => !empty(entry.value.?tell))
var accountsSetting = empty(accounts) ? fail(noAccount) : string(accounts)
var isPrivate = privateNetwork == 'true'
var operatorRanges = isPrivate || empty(vaultIpRanges) ? vaultIpRanges : fail(noNetwork)

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
    privateNetwork: isPrivate
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
    privateNetwork: isPrivate
    allowedIpRanges: operatorRanges
    recover: recoverVault == 'true'
  }
}

module writers 'modules/secret-writer.bicep' = [for name in (refreshTokensStored == 'true' ? refreshTokenSecrets : []): {
  name: 'writer-${uniqueString(name)}'
  scope: group
  params: {
    vaultName: vault.outputs.name
    secretName: name
    principalId: identity.outputs.principalId
  }
}]

module network 'modules/network.bicep' = if (isPrivate) {
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
    subnetId: isPrivate ? network!.outputs.functionSubnetId : ''
    allowedIpRanges: allowedIpRanges
    entra: entra ?? {}
    alwaysReadyInstances: alwaysReadyInstances
    perInstanceConcurrency: perInstanceConcurrency
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    settings: union(callersSetting, {
      KEY_VAULT_URL: vault.outputs.url
      PARTNER_CENTER_ACCOUNTS: accountsSetting
      CANCEL_DEADLINE_S: string(cancelDeadlineS)
      CANCEL_MAX_WAIT_S: string(cancelMaxWaitS)
      SECRET_TTL_S: string(secretTtlS)
      'AzureWebJobs.tell_ticket.Disabled': empty(telling) ? 'true' : 'false'
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
    operatePage: operatePage
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

// ---------------------------------------------------------------- outputs for azd, availability.bicep, the operator

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = function.outputs.name
output AZURE_FUNCTION_URL string = function.outputs.url
output AZURE_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output KEY_VAULT_URL string = vault.outputs.url
output AZURE_APPLICATION_INSIGHTS_NAME string = telemetry.outputs.applicationInsightsName
output AZURE_ACTION_GROUP_NAME string = alerts.outputs.actionGroupName
