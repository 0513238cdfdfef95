// Takes orders in: the document as it came goes into the bucket, what is searched into the table.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The shop is in one region, wherever this may run.
const region = "us-east-1"

type order struct {
	Customer string  `json:"customer"`
	Total    float64 `json:"total"`
}

type intake struct {
	documents     *s3.Client
	orders        *dynamodb.Client
	bucket, table string
}

func answer(status int, body any) (events.APIGatewayProxyResponse, error) {
	text, err := json.Marshal(body)
	return events.APIGatewayProxyResponse{StatusCode: status, Body: string(text)}, err
}

func (i *intake) handle(ctx context.Context, request events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	var given order
	if err := json.Unmarshal([]byte(request.Body), &given); err != nil || given.Customer == "" {
		return answer(400, map[string]string{"message": "an order has a customer and a total"})
	}
	id := request.PathParameters["id"]
	key := "orders/" + given.Customer + "/" + id + ".json"
	_, err := i.documents.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &i.bucket, Key: &key, Body: strings.NewReader(request.Body), ContentType: aws.String("application/json"),
	})
	if err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	_, err = i.orders.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &i.table,
		Item: map[string]types.AttributeValue{
			"id":       &types.AttributeValueMemberS{Value: id},
			"document": &types.AttributeValueMemberS{Value: key},
			"total":    &types.AttributeValueMemberN{Value: strconv.FormatFloat(given.Total, 'f', -1, 64)},
		},
	})
	if err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	return answer(201, map[string]string{"document": key})
}

func main() {
	settings, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(region))
	if err != nil {
		log.Fatal(err)
	}
	here := &intake{
		documents: s3.NewFromConfig(settings),
		orders:    dynamodb.NewFromConfig(settings),
		bucket:    os.Getenv("BUCKET"),
		table:     os.Getenv("TABLE"),
	}
	lambda.Start(here.handle)
}
