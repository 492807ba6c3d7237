// Deploys the alerts. Each alert's query is a file in alerts/; the tests run it on records that the function logged.

param suffix string
param location string
param tags object
param applicationInsightsName string
param alertEmail string
param operatePage string

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

// ---------------------------------------------------------------- receivers

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${suffix}'
  location: 'global'
  tags: union(tags, {
    operatePage: operatePage // for availability.bicep, which is deployed after the code and gets no settings
  })
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

// There are two kinds. An alert about orders or tickets is closed by a person: its query covers a minute more than there
// is between two runs, so that each order raises it once, at worst twice. It is split by order or ticket; where one
// cause can hold back many tickets, it is split by cause. An alert about a state stays raised while the state lasts,
// and then resolves itself.
//
// The description is in the mail to the operator: `firstStep`, and a link to the section `name` of docs/operate.md, at
// the end, because mail programs take a full stop for a part of it. Custom properties are not in the mail
// (https://github.com/MicrosoftDocs/azure-docs/issues/100701).

// Azure takes at most six. The id is the order's, or the subscription's where the request names one.
var order = [
  'account'
  'customerTenantId'
  'orderOrSubscription'
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
var ticket = [
  'caller'
  'system'
  'ticketId'
  'correlationId'
]
var byTicket = [for column in ticket: {
  name: column
  operator: 'Include'
  values: [
    '*'
  ]
}]
var cause = [
  'caller'
  'system'
  'reason'
]
var byCause = [for column in cause: {
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
    title: 'A cancellation was sent, but its result was not recorded'
    firstStep: 'It may be cancelled. Look with dryRun true, or send the ticket\'s request again as it was, with the same lineItems and when.'
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
    title: 'It is not known whether everything that was asked for was cancelled'
    firstStep: 'It may be cancelled. Look with dryRun true, or send the ticket\'s request again as it was, with the same lineItems and when.'
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
    title: 'A cancellation was accepted two hours ago and is still not confirmed'
    firstStep: 'Send the ticket\'s request with dryRun true. If it is not done, ask Partner Center\'s support.'
    severity: 2
    query: loadTextContent('alerts/pending-not-followed-up.kql')
    every: 'PT15M'
    window: 'PT3H'
    periods: 1
    dimensions: byOrder
    resolves: false
  }
  {
    name: 'end-not-scheduled'
    title: 'Auto-renew was turned off, but the subscription may go on as a paid extended term'
    firstStep: 'Schedule its cancellation in Partner Center, or turn auto-renew on again. The function puts nothing back.'
    severity: 1
    query: loadTextContent('alerts/end-not-scheduled.kql')
    every: 'PT15M'
    window: 'PT30M'
    periods: 1
    dimensions: byOrder
    resolves: false
  }
  {
    name: 'still-open'
    title: 'After a day nobody knows whether a cancellation is done'
    firstStep: 'It may be cancelled, or cost money further on. Look with dryRun true, and write the result into the ticket.'
    severity: 1
    query: loadTextContent('alerts/still-open.kql')
    every: 'PT15M'
    window: 'PT30M'
    periods: 1
    dimensions: byTicket
    resolves: false
  }
  {
    name: 'poisoned'
    title: 'A ticket cannot be told its result'
    firstStep: 'The reason is in the alert. Correct its cause and put the messages back, or write into the tickets by hand.'
    severity: 2
    query: loadTextContent('alerts/poisoned.kql')
    every: 'PT5M'
    window: 'PT15M'
    periods: 1
    dimensions: byCause
    resolves: false
  }
  {
    name: 'not-told'
    title: 'Results cannot be put into the queue, so their tickets are not told'
    firstStep: 'Write the results into the tickets by hand. Check the queue, and the role of the function on it.'
    severity: 2
    query: loadTextContent('alerts/not-told.kql')
    every: 'PT15M'
    window: 'PT30M'
    periods: 1
    dimensions: byCause
    resolves: false
  }
  {
    name: 'credentials-rejected'
    title: 'The credential of an account is refused'
    firstStep: 'Cancellations of this account fail. GET /api/cancel_order gives the cause in detail.'
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
    firstStep: 'Key Vault, Entra ID or the identity fails. Check Azure\'s status page and the vault\'s firewall.'
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
    title: 'The credential of an account ends within 14 days'
    firstStep: 'Store a new secret or certificate before that day.'
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
    title: 'A new refresh token could not be stored in the Key Vault'
    firstStep: 'Cancellations still work. Check the role Key Vault Secrets Officer and the vault\'s firewall.'
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
    title: 'Partner Center has throttled calls for 15 minutes'
    firstStep: 'Callers are asked to send again later. Find the busy sender in the workbook and slow it down.'
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
    title: 'At least a fifth of all calls failed'
    firstStep: 'Open the workbook and look which codes the calls ended with. internal_error is a bug: report it.'
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
    description: '${alert.firstStep} More: ${operatePage}#${alert.name}'
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
    // A new Application Insights component may not have its tables yet. The tests have checked the queries.
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
