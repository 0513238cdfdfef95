// Announces orders that are new, and changes of their totals.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

type announcement struct {
	Order  string  `json:"order"`
	Total  float64 `json:"total"`
	Before float64 `json:"before"`
}

func main() {
	settings, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("us-east-1"))
	if err != nil {
		log.Fatal(err)
	}
	// The name of the service and nothing else, whatever the environment says.
	queues := sqs.NewFromConfig(settings, func(o *sqs.Options) {
		o.BaseEndpoint = aws.String("https://sqs.us-east-1.amazonaws.com")
	})
	queue := os.Getenv("QUEUE_URL")

	lambda.Start(func(ctx context.Context, event events.DynamoDBEvent) error {
		for _, record := range event.Records {
			total, err := record.Change.NewImage["total"].Float()
			if err != nil {
				return err
			}
			told := announcement{Order: record.Change.Keys["id"].String(), Total: total}
			if before, known := record.Change.OldImage["total"]; known {
				told.Before, _ = before.Float()
			}
			body, err := json.Marshal(told)
			if err != nil {
				return err
			}
			if _, err := queues.SendMessage(ctx, &sqs.SendMessageInput{
				QueueUrl: &queue, MessageBody: aws.String(string(body)),
			}); err != nil {
				return err
			}
		}
		return nil
	})
}
