// Deploys saved queries and a workbook that shows the audit records to the operator. Each query is a file in queries/;
// the tests run it on records that the function logged.

param suffix string
param location string
param tags object
param applicationInsightsName string

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

var queries = [
  {
    name: 'outcomes'
    title: 'Cancellations by outcome'
    text: loadTextContent('queries/outcomes.kql')
    chart: 'barchart'
  }
  {
    name: 'accounts-and-callers'
    title: 'Calls by account and caller'
    text: loadTextContent('queries/accounts-and-callers.kql')
    chart: 'table'
  }
  {
    name: 'looks'
    title: 'Looks for customers\' orders, by caller'
    text: loadTextContent('queries/looks.kql')
    chart: 'table'
  }
  {
    name: 'refusals'
    title: 'Refusals by Partner Center code'
    text: loadTextContent('queries/refusals.kql')
    chart: 'table'
  }
  {
    name: 'latency'
    title: 'Waiting time in ms: token, Partner Center, total'
    text: loadTextContent('queries/latency.kql')
    chart: 'linechart'
  }
  {
    name: 'throttling'
    title: 'Throttling'
    text: loadTextContent('queries/throttling.kql')
    chart: 'linechart'
  }
  {
    name: 'credentials'
    title: 'Credentials by the date on which they end'
    text: loadTextContent('queries/credentials.kql')
    chart: 'table'
  }
  {
    name: 'tickets'
    title: 'Notes in tickets by ticketing system'
    text: loadTextContent('queries/tickets.kql')
    chart: 'table'
  }
  {
    name: 'time-to-note'
    title: 'Seconds from the decision to the note'
    text: loadTextContent('queries/time-to-note.kql')
    chart: 'linechart'
  }
  {
    name: 'untold'
    title: 'Tickets that were not told, by reason'
    text: loadTextContent('queries/untold.kql')
    chart: 'table'
  }
]

var orderQuery = [
  {
    name: 'order'
    title: 'Everything about one order, subscription or ticket'
    text: loadTextContent('queries/order.kql')
    chart: 'table'
  }
]

// The operator finds the pack by its name in Application Insights under Logs, Queries.
resource pack 'Microsoft.OperationalInsights/queryPacks@2019-09-01' = {
  name: 'cancel-order-${suffix}'
  location: location
  tags: tags
  properties: {}
}

resource packed 'Microsoft.OperationalInsights/queryPacks/queries@2019-09-01' = [for query in concat(queries, orderQuery): {
  parent: pack
  name: guid(pack.id, query.name)
  properties: {
    displayName: 'cancel_order: ${query.title}'
    body: query.text
    related: {
      categories: [
        'applications'
      ]
      resourceTypes: [
        'microsoft.insights/components'
      ]
    }
  }
}]

var charts = [for query in queries: {
  type: 3
  name: query.name
  content: {
    version: 'KqlItem/1.0'
    title: query.title
    query: query.text
    queryType: 0
    resourceType: 'microsoft.insights/components'
    crossComponentResources: [
      applicationInsights.id
    ]
    size: 0
    timeContextFromParameter: 'TimeRange'
    visualization: query.chart
  }
}]

var timeRange = [
  {
    type: 9
    name: 'parameters'
    content: {
      version: 'KqlParameterItem/1.0'
      style: 'pills'
      queryType: 0
      resourceType: 'microsoft.insights/components'
      parameters: [
        {
          id: guid(applicationInsights.id, 'TimeRange')
          version: 'KqlParameterItem/1.0'
          name: 'TimeRange'
          label: 'Time range'
          type: 4
          isRequired: true
          value: {
            durationMs: 604800000 // a week
          }
          typeSettings: {
            allowCustom: true
            selectableValues: [
              {
                durationMs: 3600000
              }
              {
                durationMs: 86400000
              }
              {
                durationMs: 604800000
              }
              {
                durationMs: 2592000000
              }
            ]
          }
        }
      ]
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(applicationInsights.id, 'cancel_order')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'cancel_order'
    category: 'workbook'
    sourceId: applicationInsights.id
    version: 'Notebook/1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(timeRange, charts)
      fallbackResourceIds: [
        applicationInsights.id
      ]
    })
  }
}
