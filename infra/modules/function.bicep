// Deploys the function app: Flex Consumption, Python, without a secret in any setting.

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

// ---------------------------------------------------------------- network access

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
      scmIpSecurityRestrictionsUseMain: false // deploying needs an Entra token, from any address
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

// Deploying needs an Entra identity. The user names and passwords of publishing profiles are turned off.
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

// Signing in with Entra exists only in the public cloud:
// https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication
var telemetrySignIn = environment().name != 'AzureCloud' ? {} : {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(settings, telemetrySignIn, {
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights.properties.ConnectionString
    AZURE_CLIENT_ID: identityClientId
    AzureWebJobsDisableHomepage: 'true'
    // The host uses the address. With the address alone it fails now and then at its start:
    // https://github.com/Azure/azure-functions-host/issues/11787
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
    AzureWebJobsStorage__clientId: identityClientId
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
    // Larger than the function's own limit of 64 KiB: the function answers 413 with a code, the host an empty 500.
    FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '131072'
  })
}

// ---------------------------------------------------------------- callers with an Entra token

// App Service Authentication verifies bearer tokens; the function decides by app role what the caller may do. Requests
// without a token pass too, because ticketing systems have none.
//
// It is deployed even if `entra` is left out, so that removing the parameter turns it off. Azure sets
// WEBSITE_AUTH_ENABLED only while it is on; otherwise the function ignores its headers.
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
