// Deploys the availability test: GET /api/cancel_order every five minutes from each location. The test tries every
// account's credential, cancels nothing, and so renews a refresh token that no other call uses.
//
// `azd up` deploys this file after the code (azure.yaml, postup), into the resource group of main.bicep, because a
// function has no key before it has code. Deploy it again after the key was renewed.
//
// The function key goes from the host directly into the test's header. It is not a parameter, not an output, and not in
// the deployment's history. But every user with the role Reader on the resource group can read the test and its key,
// and a function key can cancel orders. So set CALLERS: then the key alone cancels nothing, and is still enough for the
// health check. To give the test a key that you can revoke separately, make the key first and pass its name as keyName:
//
//   az functionapp function keys set --subscription "$AZURE_SUBSCRIPTION_ID" \
//     --resource-group "$AZURE_RESOURCE_GROUP" --name "$AZURE_FUNCTION_NAME" \
//     --function-name cancel_order --key-name availability --output none

param location string = resourceGroup().location
param functionName string
param applicationInsightsName string
param actionGroupName string

@description('Name of the function key that the test sends.')
param keyName string = 'default'

@description('Locations of the test, at least two; each makes one call in five minutes. If empty, three of this cloud.')
param locations array = []

// https://learn.microsoft.com/azure/azure-monitor/app/availability#location-population-tags
var defaultLocations = {
  AzureCloud: [
    'emea-nl-ams-azr'
    'us-va-ash-azr'
    'apac-sg-sin-azr'
  ]
  AzureUSGovernment: [
    'usgov-va-azr'
    'usgov-phx-azr'
    'usgov-tx-azr'
  ]
  AzureChinaCloud: [
    'mc-cne-azr'
    'mc-cne2-azr'
    'mc-cnn2-azr'
  ]
}
var testLocations = empty(locations) ? defaultLocations[environment().name] : locations

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionName
}

resource function 'Microsoft.Web/sites/functions@2025-03-01' existing = {
  parent: site
  name: 'cancel_order'
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' existing = {
  name: actionGroupName
}

resource test 'Microsoft.Insights/webtests@2022-06-15' = {
  name: 'health-${functionName}'
  location: location
  kind: 'standard'
  tags: {
    'hidden-link:${applicationInsights.id}': 'Resource'
  }
  properties: {
    SyntheticMonitorId: 'health-${functionName}'
    Name: 'cancel_order: health'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [for testLocation in testLocations: {
      Id: testLocation
    }]
    Request: {
      RequestUrl: 'https://${site.properties.defaultHostName}/api/cancel_order'
      HttpVerb: 'GET'
      ParseDependentRequests: false
      FollowRedirects: false
      Headers: [
        {
          key: 'x-functions-key'
          value: function.listKeys()[keyName]
        }
      ]
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
    }
  }
}

var firstStep = 'Call GET /api/cancel_order: 503 names an account that does not work, 500 names a wrong setting.'

resource unavailable 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'cancel-order-unavailable-${functionName}'
  location: 'global'
  tags: {
    'hidden-link:${applicationInsights.id}': 'Resource'
    'hidden-link:${test.id}': 'Resource'
  }
  properties: {
    description: '${firstStep} More: ${operators.tags.?operatePage ?? 'docs/operate.md'}#unavailable'
    severity: 1
    enabled: true
    scopes: [
      test.id
      applicationInsights.id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: test.id
      componentId: applicationInsights.id
      failedLocationCount: length(testLocations) - 1 // a single location may have a network problem of its own
    }
    actions: [
      {
        actionGroupId: operators.id
      }
    ]
  }
}
