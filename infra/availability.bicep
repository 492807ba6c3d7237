// The availability test: GET /api/cancel_order every five minutes from each location. It tries every account's
// credential, cancels nothing, and keeps alive a refresh token that nobody else uses.
//
// Deployed after the code, into the resource group of main.bicep: only then is there a function to have a key. `azd up`
// does it (azure.yaml, postup); deploying it again takes up a key that was renewed since.
//
// The function key goes from the host straight into the test's header: it is no parameter, no output, and not in the
// deployment's history. But it can be read by whoever may read the web test (Reader on the resource group), and a
// function key may cancel. So set CALLERS: then a function key alone cancels nothing, and a health check needs no more.
// A key of its own, to be revoked by itself, is made beforehand and named by keyName:
//
//   az functionapp function keys set --resource-group "$AZURE_RESOURCE_GROUP" --name "$AZURE_FUNCTION_NAME" \
//     --function-name cancel_order --key-name availability --output none

param location string = resourceGroup().location
param functionName string
param applicationInsightsName string
param actionGroupName string

@description('Which of the function\'s keys the test sends.')
param keyName string = 'default'

@description('Where to ask from, two at least; each is one call in five minutes. Empty: three of this cloud.')
param locations array = []

// https://learn.microsoft.com/azure/azure-monitor/app/availability#location-population-tags
var usual = {
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
var places = empty(locations) ? usual[environment().name] : locations

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
    Locations: [for place in places: {
      Id: place
    }]
    Request: {
      RequestUrl: 'https://${site.properties.defaultHostName}/api/cancel_order'
      HttpVerb: 'GET'
      ParseDependentRequests: false
      FollowRedirects: false
      Headers: [
        {
          key: 'x-functions-key'
          value: listKeys(function.id, function.apiVersion)[keyName]
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

resource unavailable 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'cancel-order-unavailable-${functionName}'
  location: 'global'
  tags: {
    'hidden-link:${applicationInsights.id}': 'Resource'
    'hidden-link:${test.id}': 'Resource'
  }
  properties: {
    description: 'What it means and what to do: docs/operate.md, "unavailable".'
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
      failedLocationCount: length(places) - 1 // one location's own trouble is not ours
    }
    actions: [
      {
        actionGroupId: operators.id
      }
    ]
  }
}
