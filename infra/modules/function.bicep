// The function app: Flex Consumption, Python, no secret in any setting.

param suffix string
param location string
param tags object
param identityId string
param identityClientId string
param storageName string
param applicationInsightsName string
param subnetId string
param allowedIpRanges array
param entra object
param alwaysReadyInstances int
param perInstanceConcurrency int
param maximumInstanceCount int
param instanceMemoryMB int
param settings object

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

// ---------------------------------------------------------------- who may reach it

var ranges = [for (range, i) in allowedIpRanges: {
  name: 'caller-${i}'
  priority: 100 + i
  action: 'Allow'
  ipAddress: range
}]
var availabilityTest = [
  {
    name: 'availability-test'
    priority: 1000
    action: 'Allow'
    tag: 'ServiceTag'
    ipAddress: 'ApplicationInsightsAvailability'
  }
]

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-cancel-order-${suffix}'
  location: location
  kind: 'functionapp,linux'
  tags: union(tags, {
    'azd-service-name': 'api'
  })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      ipSecurityRestrictions: empty(allowedIpRanges) ? [] : concat(ranges, availabilityTest)
      scmIpSecurityRestrictionsUseMain: false // a deployment proves itself with an Entra token
      ipSecurityRestrictionsDefaultAction: empty(allowedIpRanges) ? 'Allow' : 'Deny'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}packages'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyInstances == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
        ]
        triggers: {
          http: {
            perInstanceConcurrency: perInstanceConcurrency
          }
        }
      }
    }
  }
}

// Deploying takes an Entra identity; the user names and passwords of publishing profiles are off.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

// ---------------------------------------------------------------- settings

// https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication: in the public cloud only.
var telemetrySignIn = environment().name != 'AzureCloud' ? {} : {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(settings, telemetrySignIn, {
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights.properties.ConnectionString
    AZURE_CLIENT_ID: identityClientId
    AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
    AzureWebJobsStorage__clientId: identityClientId
    AzureWebJobsStorage__credential: 'managedidentity'
    // Above our own limit of 64 KiB, so that a body that is too large gets our 413 and not the host's empty one.
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '131072'
  })
}

// ---------------------------------------------------------------- callers with an Entra token

// Always deployed, so that taking the parameter away switches it off. It lets everyone through, signed in or not:
// ticketing systems have no Entra token. Who a bearer token names is verified here, and what it may do by the
// function, by app role; without it the function believes no such header (WEBSITE_AUTH_ENABLED is set by this).
resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: !empty(entra)
    }
    globalValidation: {
      requireAuthentication: false
      unauthenticatedClientAction: 'AllowAnonymous'
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: empty(entra) ? {} : {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: entra.clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${entra.?tenantId ?? tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: entra.?audiences ?? [
            entra.clientId
            'api://${entra.clientId}'
          ]
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}

output name string = site.name
output url string = 'https://${site.properties.defaultHostName}/api/cancel_order'
