// Who is told of what. Each alert's question is a file in alerts/; the tests ask it of records that the function logged.

param suffix string
param location string
param tags object
param applicationInsightsName string
param alertEmail string

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

// ---------------------------------------------------------------- who is told

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'cancelorder'
    enabled: true
    emailReceivers: empty(alertEmail) ? [] : [
      {
        name: 'operators'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

// ---------------------------------------------------------------- alerts

// Two kinds. About an order (split by order, closed by a person): every 15 minutes the query looks at 16, so that each
// order is told of once, at worst twice. About a state: stays fired while it lasts, resolves itself.

var order = [
  'account'
  'customerTenantId'
  'orderId'
  'ticketId'
  'requestId'
  'correlationId'
]
var byOrder = [for column in order: {
  name: column
  operator: 'Include'
  values: [
    '*'
  ]
}]
var byAccount = [
  {
    name: 'account'
    operator: 'Include'
    values: [
      '*'
    ]
  }
]

var alerts = [
  {
    name: 'sending-without-decided'
    title: 'A cancellation was sent, and nothing says how it ended'
    severity: 1
    query: loadTextContent('alerts/sending-without-decided.kql')
    every: 'PT15M'
    window: 'PT30M'
    periods: 1
    dimensions: byOrder
    resolves: false
  }
  {
    name: 'outcome-unknown'
    title: 'Nobody could tell whether an order was cancelled'
    severity: 1
    query: loadTextContent('alerts/outcome-unknown.kql')
    every: 'PT15M'
    window: 'PT30M'
    periods: 1
    dimensions: byOrder
    resolves: false
  }
  {
    name: 'pending-not-followed-up'
    title: 'A cancellation was accepted two hours ago, and nobody has looked since'
    severity: 2
    query: loadTextContent('alerts/pending-not-followed-up.kql')
    every: 'PT15M'
    window: 'PT3H'
    periods: 1
    dimensions: byOrder
    resolves: false
  }
  {
    name: 'credentials-rejected'
    title: 'An account\'s credential is refused'
    severity: 1
    query: loadTextContent('alerts/credentials-rejected.kql')
    every: 'PT5M'
    window: 'PT15M'
    periods: 1
    dimensions: byAccount
    resolves: true
  }
  {
    name: 'unhealthy'
    title: 'The health check gets no token for an account'
    severity: 1
    query: loadTextContent('alerts/unhealthy.kql')
    every: 'PT5M'
    window: 'PT15M'
    periods: 1
    dimensions: byAccount
    resolves: true
  }
  {
    name: 'credential-expiring'
    title: 'An account\'s credential ends within 14 days'
    severity: 2
    query: loadTextContent('alerts/credential-expiring.kql')
    every: 'PT1H'
    window: 'PT6H'
    periods: 1
    dimensions: byAccount
    resolves: true
  }
  {
    name: 'refresh-token-not-stored'
    title: 'A refresh token could not be renewed in the Key Vault'
    severity: 2
    query: loadTextContent('alerts/refresh-token-not-stored.kql')
    every: 'PT1H'
    window: 'P1D'
    periods: 1
    dimensions: byAccount
    resolves: true
  }
  {
    name: 'throttled'
    title: 'Partner Center has been throttling for 15 minutes'
    severity: 3
    query: loadTextContent('alerts/throttled.kql')
    every: 'PT5M'
    window: 'PT5M'
    periods: 3
    dimensions: byAccount
    resolves: true
  }
  {
    name: 'error-rate'
    title: 'A fifth of all calls fail'
    severity: 2
    query: loadTextContent('alerts/error-rate.kql')
    every: 'PT15M'
    window: 'PT30M'
    periods: 1
    dimensions: []
    resolves: true
  }
]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: 'cancel-order-${alert.name}-${suffix}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'cancel_order: ${alert.title}'
    description: 'What it means and what to do: docs/operate.md, "${alert.name}".'
    severity: alert.severity
    enabled: true
    scopes: [
      applicationInsights.id
    ]
    targetResourceTypes: [
      'Microsoft.Insights/components'
    ]
    evaluationFrequency: alert.every
    windowSize: alert.window
    autoMitigate: alert.resolves
    // A component that was made a minute ago may not know its tables yet; the queries are checked before.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: alert.dimensions
          failingPeriods: {
            numberOfEvaluationPeriods: alert.periods
            minFailingPeriodsToAlert: alert.periods
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        operators.id
      ]
    }
  }
}]

output actionGroupName string = operators.name
